insert into {log} (op, {olds}) select 'X', {key} from {table} t where {taken}
