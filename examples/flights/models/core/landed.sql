MODEL (
  name core.landed,
  kind EMBEDDED,
  description 'Flights that reached their destination: those whose delay is known. Inlined where it is read',
  grain (time_hour, carrier, flight)
);

select *
from stg.flights
where not is_cancelled and not is_diverted
