"""The practitioner's door: rows and labels in frames, arrays and files; which of them should be learned together."""
