"""Sharing: a run as a model folder of Hugging Face with its card, and folders to the Hub."""

from flannb.share.hub import Upload, plan_upload, upload
from flannb.share.model import export_model
from flannb.share.run import Run, read_run

__all__ = ["Run", "Upload", "export_model", "plan_upload", "read_run", "upload"]
