-- How the server reads grants, and whom it lets create triggers (A37). SHOW leaves out what a server does not have.
show variables where variable_name in ('log_bin', 'log_bin_trust_function_creators', 'lower_case_table_names', 'partial_revokes')
