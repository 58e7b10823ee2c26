from hypothesis import HealthCheck, settings

# Machines are busy now and then: how long one example takes says nothing.
settings.register_profile("anabranch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anabranch")
