"""The application: where strategies, analyzers and feeds meet."""

if __name__ != "riskoverlay.studies":
    raise ImportError(f"{__name__} is riskoverlay.studies: import it by that name")
