"""`make demo`: both workers at work on a few pictures, on an AWS of this machine."""
