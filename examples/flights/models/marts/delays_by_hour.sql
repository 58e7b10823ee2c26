MODEL (
  name marts.delays_by_hour,
  kind FULL,
  description 'Arrival delay by airline and scheduled hour of departure, local time',
  grain (carrier, hour)
);

select
  carrier,
  hour,
  count(*) as landed,
  sum(arr_delay)::bigint as delay_minutes,
  round(avg(arr_delay), 2) as mean_delay
from core.landed
group by carrier, hour
