select part, version from twinrow.version
