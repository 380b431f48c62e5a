"""What labels are worth: scores against gold, agreement, calibration, audit arithmetic."""
