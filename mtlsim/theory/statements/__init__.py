"""One file per statement: what it assumes, what it predicts, how it is measured, where it comes from. Each defines `STATEMENT`."""
