MODEL (
  name marts.delay_build_up,
  kind FULL,
  description 'How delay builds up over the day, all airlines together, and eases at its end',
  grain (hour)
);

with hours as (
  select
    hour,
    sum(landed)::bigint as landed,
    round(sum(delay_minutes) / sum(landed), 2) as mean_delay
  from marts.delays_by_hour
  group by hour
)

select
  hour,
  landed,
  mean_delay,
  round(mean_delay - lag(mean_delay) over (order by hour), 2) as change_from_hour_before
from hours
