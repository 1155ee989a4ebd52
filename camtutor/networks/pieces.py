"Networks of Hugging Face for texts: what their tokenizer makes of a text, and which of its pieces it knows."
from torch import nn

from camtutor.errors import CamError
from camtutor.networks.shipped import softmax
from camtutor.networks.transform import attach

def that_tokenizes(
    net:nn.Module, # a Hugging Face network for texts
    tokenizer,     # its tokenizer
)->nn.Module:      # the same network
    "A Hugging Face network that `explain` can give texts to. Its places are the tokenizer's pieces of words."
    most = getattr(net.config, 'max_position_embeddings', 100_000)
    def read(texts):
        if not all(t.strip() for t in texts): raise CamError("there is no word in it. Give a text that has some.")
        x = dict(tokenizer(texts, padding=True, return_tensors='pt'))
        if x['input_ids'].shape[1] > most:
            raise CamError(f"it has {x['input_ids'].shape[1]} tokens, and the network takes {most}. Give a part of it.")
        return x
    read.words = lambda text: tokenizer.convert_ids_to_tokens(tokenizer(text)['input_ids'])
    read.knows = lambda word: word != tokenizer.unk_token
    return attach(net, read=read, activation=softmax)
