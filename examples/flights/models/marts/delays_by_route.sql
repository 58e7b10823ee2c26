MODEL (
  name marts.delays_by_route,
  kind FULL,
  description 'How late flights arrive, by route',
  grain (origin, dest)
);

select
  landed.origin,
  landed.dest,
  -- Four airports in the Caribbean are in no list; their code has to do.
  coalesce(airports.name, landed.dest) as destination,
  max(landed.distance) as distance_miles,
  count(*) as landed,
  count(distinct landed.carrier) as carriers,
  round(avg(landed.arr_delay), 2) as mean_arr_delay,
  round(quantile_cont(landed.arr_delay, 0.5), 1) as median_arr_delay,
  round(quantile_cont(landed.arr_delay, 0.9), 1) as p90_arr_delay
from core.landed
left join stg.airports on airports.airport = landed.dest
group by landed.origin, landed.dest, airports.name
