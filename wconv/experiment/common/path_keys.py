"""Keys of the configuration that are paths: folders, whose keys end in `_dir` or `_dirs`, and one file."""

CHECKPOINT = "model.checkpoint"


def is_directory_key(key: str) -> bool:
    """Tell whether the value of a key is a folder, or a list of folders.

    Args:
        key: with or without its group, such as "paths.data_dir".
    """
    return key.endswith(("_dir", "_dirs"))


def is_path_key(key: str) -> bool:
    """Tell whether the value of a key is a folder, a list of folders, or a file.

    Args:
        key: with its group.
    """
    return is_directory_key(key) or key == CHECKPOINT
