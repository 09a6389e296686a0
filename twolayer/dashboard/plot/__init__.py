"""The one chart component of the app: Plotly without a flicker."""
