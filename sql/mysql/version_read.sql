select part, version from twinrow_version
