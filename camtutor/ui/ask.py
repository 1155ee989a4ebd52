"A question above its options, for mouse, keyboard and screen reader."
import ipywidgets as w

from camtutor.ui.helper import Helper

def asked(question, # HTML
          *widgets # the options, and what belongs below them
         )->w.VBox:
    "A question above its options."
    box = w.VBox([w.HTML(question), *widgets, Helper()])
    box.add_class('ct-ask')
    return box
