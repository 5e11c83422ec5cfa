insert into twinrow.version (part, version) values ('{part}', {version}) on conflict (part) do update set version = excluded.version;
