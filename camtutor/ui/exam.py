"An exam in prediction, question by question: a picture, with or without a map, and a button for each answer."
import ipywidgets as w

from camtutor.exam import judged
from camtutor.show import overlay, to_jpeg
from camtutor.ui import html
from camtutor.ui.helper import show_widget
from camtutor.ui.panel import classed, framed, show_when, text

TOLD = 'What will the network say? One method’s map of its answer lies over the second half of the pictures.'

class Sitting:
    "One learner's exam. Displays itself; at the end it tells the result to `noted`, and shows what that says."
    def __init__(self, exam, noted=lambda result: ''):
        self.exam, self.noted, self.guesses, self.result = exam, noted, [], None
        self.image, self.text = w.Image(format='jpeg', width=320), text('', 'ct-cap')
        self.buttons = [w.Button(description=name, layout=w.Layout(width='auto')) for name in exam.vocab]
        for k, b in enumerate(self.buttons): b.on_click(lambda _, k=k: self.guess(k))
        self.answers = classed(w.HBox(self.buttons), 'ct-controls')
        self.root = framed(text(), classed(w.VBox([self.image, self.text, self.answers]), 'ct-stage'))
        self.ask()

    def picture(self):
        "The question's picture as JPEG bytes, under its map if there is one."
        q = self.exam.questions[len(self.guesses)]
        return to_jpeg(q.picture if q.map is None else overlay(q.picture[None], q.map[None])[0], 92)

    def said(self):
        "The line below the picture."
        i, n = len(self.guesses), len(self.exam.questions)
        return f'{i + 1} of {n}, {"without a map" if i < n // 2 else "with a map of its answer"}'

    def ask(self):
        "Show the next question."
        self.image.value, self.text.value = self.picture(), html.status(html.emphasised(self.said()))

    def guess(self, k):
        "A button was pressed: the next question, or the result."
        if self.result is not None: return
        self.guesses.append(k)
        if len(self.guesses) < len(self.exam.questions): self.ask()
        else: self.end()

    def end(self):
        "Judge, note, and show the result."
        self.result = judged(self.exam, self.guesses)
        show_when(self.answers, False)
        show_when(self.image, False)
        self.text.value = html.status(html.emphasised('', str(self.result), ' ' + self.noted(self.result)))

    def static(self):
        "The first question as HTML, for readers of a saved page."
        told = f'{TOLD}<small>{self.said()}. Run this cell in Jupyter to sit the exam.</small>'
        return html.figure(self.picture(), 'the picture of the first question', told, width=256)

    def _ipython_display_(self): show_widget(self.root, self.static(), repr(self))

    def __repr__(self): return f'exam({len(self.guesses)} of {len(self.exam.questions)} answered)'
