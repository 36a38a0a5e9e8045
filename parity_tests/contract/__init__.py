"""What is asked of a loss: functions, points, tolerances, and how an answer is compared."""
