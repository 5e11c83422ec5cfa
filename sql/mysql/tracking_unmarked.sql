select 'unmarked', '{log}', null, null, null, null from dual where not exists (select 1 from `{log}` where op = 'E')
