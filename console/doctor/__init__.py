"""`cartext doctor`: whether a run can succeed, asked before anything is paid for."""
