"""The life cycle on MLflow: runs, the spool that outlives a server, the logged model, the registry.

Importing this package is cheap: mlflow is loaded when a store is first used.
"""
