"""Metrics, and pictures of them: functions of tables of predictions, nothing else."""
