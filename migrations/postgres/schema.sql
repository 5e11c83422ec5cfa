-- Twinrow's own schema: nobody else's search_path leads here, and nobody else may look into it.
create schema if not exists twinrow;
revoke all on schema twinrow from public;
comment on schema twinrow is 'Change logs and state of Twinrow. Remove with: twinrow uninstall';
