MODEL (
  name marts.league,
  kind FULL,
  description 'Airlines ranked by punctuality, each with the hour of departure to avoid',
  grain (carrier)
);

with hours as (
  select
    carrier,
    hour,
    landed,
    delay_minutes,
    -- Hours of fewer than 30 flights come last: they say little.
    rank() over (partition by carrier order by landed >= 30 desc, mean_delay desc, hour) as place
  from marts.delays_by_hour
),

totals as (
  select
    carrier,
    sum(landed)::bigint as landed,
    round(sum(delay_minutes) / sum(landed), 2) as mean_delay,
    max(hour) filter (where place = 1) as worst_hour
  from hours
  group by carrier
)

select
  rank() over (order by totals.mean_delay, totals.carrier) as rank,
  totals.carrier,
  by_carrier.airline,
  by_carrier.business,
  totals.landed,
  totals.mean_delay,
  totals.worst_hour,
  by_carrier.cancelled_share
from totals
join marts.delays_by_carrier as by_carrier on by_carrier.carrier = totals.carrier
