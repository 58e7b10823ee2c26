MODEL (
  name marts.recovery,
  kind FULL,
  description 'Time made up between departure and arrival, by route, and how often it saves a late departure',
  grain (origin, dest)
);

with flights as (
  select
    origin,
    dest,
    distance,
    air_time,
    dep_delay - arr_delay as minutes_made_up,
    dep_delay >= 15 as left_late,
    arr_delay < 15 as arrived_on_time
  from core.landed
)

select
  origin,
  dest,
  count(*) as landed,
  count(*) filter (where left_late) as left_late,
  round(avg(minutes_made_up), 2) as mean_minutes_made_up,
  -- Null where no flight left late.
  round(avg(minutes_made_up) filter (where left_late), 2) as mean_minutes_made_up_when_late,
  round(avg(arrived_on_time::integer) filter (where left_late), 4) as saved_share,
  round(60 * sum(distance) / sum(air_time), 1) as mean_speed_mph
from flights
group by origin, dest
