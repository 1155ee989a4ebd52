"What a person sees and moves: the explorer, sliders on a function, questions. Scripts and styles are files."
