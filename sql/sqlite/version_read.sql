select version from twinrow_version where part = ?1
