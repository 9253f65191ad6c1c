"""Self-contained HTML reports: one file that loads nothing, opened from disk or from MLflow."""

from steno.evaluation.report.comparison import comparison_report
from steno.evaluation.report.evaluation import evaluation_report

__all__ = ["comparison_report", "evaluation_report"]
