MODEL (
  name stg.flights,
  kind FULL,
  description 'Scheduled flights out of New York, one row each, with what became of them',
  grain (time_hour, carrier, flight)
);

select
  time_hour,
  carrier,
  flight,
  make_date(year, month, day) as flight_date,
  month,
  hour,
  tailnum,
  origin,
  dest,
  distance,
  dep_time is null as is_cancelled,
  -- It left, but didn't reach its destination, or not on this flight: there is no arrival delay.
  dep_time is not null and arr_delay is null as is_diverted,
  dep_delay,
  arr_delay,
  air_time
from raw.flights
