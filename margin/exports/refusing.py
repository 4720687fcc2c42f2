"""What is wrong with an export."""


class ExportRefused(ValueError):
    """The file is not what it was said to be; the text says where and why."""
