insert into twinrow.consumer (integration, name, position, n)
select $1::text, v.name, v.position, 0 from unnest($2::text[], $3::text[]) as v(name, position)
on conflict (integration, name) do nothing
