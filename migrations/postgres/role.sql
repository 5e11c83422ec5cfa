-- The capture functions run as this role, which can't log in: the application's user needs no rights on
-- our tables (A34), and dropping the installer's login breaks nothing (A36). Roles are shared by all
-- databases of the cluster, so another installation may be making it at the same moment.
do $$ begin
  create role twinrow_capture nologin;
exception when duplicate_object or unique_violation then null;
end $$;
