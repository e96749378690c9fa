"""`cartext export`: a run as a table for a spreadsheet."""
