"""How often something is called: what a fit costs, whatever the clock says."""


def calls_of(monkeypatch, place, name):
    """Return a list that grows by the arguments of each call of ``place.name``."""
    calls, inner = [], getattr(place, name)

    def counted(*args, **options):
        calls.append(args)
        return inner(*args, **options)

    monkeypatch.setattr(place, name, counted)
    return calls
