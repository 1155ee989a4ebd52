"Empty figures that belong to no window."

def blank(
    size,     # (width, height) in inches
    dpi=80,   # pixels an inch
    **kwargs, # layout and the like, see matplotlib's Figure
):
    "A figure. Matplotlib is imported here alone, since its figures take half a second to import."
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    fig = Figure(figsize=size, dpi=dpi, **kwargs)
    FigureCanvasAgg(fig)
    return fig
