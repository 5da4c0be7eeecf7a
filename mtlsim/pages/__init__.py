"""Pages of one file, which any browser shows without a network: a sweep with sliders, and the lesson when sharing helps.

Drawn with bokeh, an extra: pip install 'mtlsim[pages]'.
"""
