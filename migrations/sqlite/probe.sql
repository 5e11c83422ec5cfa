insert into {log} (op, {parts}) select 'X', {key}, {by} from {table} t where {taken}
