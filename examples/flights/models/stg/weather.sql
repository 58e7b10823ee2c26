MODEL (
  name stg.weather,
  kind FULL,
  description 'Weather at the airports of New York by the hour, with impossible readings removed',
  grain (origin, time_hour)
);

select
  origin,
  time_hour,
  round((temp - 32) * 5 / 9, 1) as temp_celsius,
  humid as humidity_percent,
  -- The highest wind ever measured is 253 mph; one reading here says 1,048.
  case when wind_speed <= 253 then round(wind_speed, 1) end as wind_mph,
  round(wind_gust, 1) as gust_mph,
  precip as precip_inches,
  visib as visibility_miles
from raw.weather
