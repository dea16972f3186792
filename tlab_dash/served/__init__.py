"""Files that `panel serve` opens, where the package is installed without the repository around it."""
