select name, version from twinrow_collection
