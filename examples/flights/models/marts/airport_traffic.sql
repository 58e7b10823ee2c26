MODEL (
  name marts.airport_traffic,
  kind FULL,
  description 'Departures and arrivals by airport and month, with the position to draw them on a map',
  grain (airport, month)
);

with movements as (
  select origin as airport, month, carrier, 1 as departures, 0 as arrivals
  from stg.flights
  where not is_cancelled

  union all

  -- In the month of departure: the date of arrival isn't in the data.
  select dest as airport, month, carrier, 0 as departures, 1 as arrivals
  from core.landed
)

select
  movements.airport,
  movements.month,
  coalesce(airports.name, movements.airport) as name,
  airports.latitude,
  airports.longitude,
  sum(movements.departures)::bigint as departures,
  sum(movements.arrivals)::bigint as arrivals,
  count(distinct movements.carrier) as carriers
from movements
left join stg.airports on airports.airport = movements.airport
group by movements.airport, movements.month, airports.name, airports.latitude, airports.longitude
