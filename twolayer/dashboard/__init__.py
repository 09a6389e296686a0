"""All that knows Streamlit: what the pages are made of."""
