"""Make the shipped network for film reviews again from seeds, measure it, and note that in docs/weights.md.

    python tools/make_reviews.py            train, save camtutor/data/reviews.safetensors, measure
    python tools/make_reviews.py --report   measure the weights only
    python tools/make_reviews.py --tiny --out DIR    a few reviews, written to DIR: does it run?"""
import argparse, json, time
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from camtutor.reviews import FEELINGS, reviews
from camtutor.text import TextNet, ids_of, load_reviews, vocabulary, words_in
from training import DATA, ROOT, section

FULL = dict(n=20_000, judged=4000, words=16_000, epochs=3, bs=32, length=400)
TINY = dict(n=40, judged=8, words=200, epochs=1, bs=8, length=50)

def by_length(ids, bs):
    "Batches of about equally long texts, cut to the longest of each; what batch comes when is drawn by lot."
    long = (ids > 0).sum(1)
    order = torch.cat([c[long[c].argsort()] for c in torch.randperm(len(ids)).split(bs * 20)])
    batches = list(order.split(bs))
    return [(i, ids[i, :long[i].max()]) for i in (batches[k] for k in torch.randperm(len(batches)))]

def train(ids, labels, net, job, lr=1e-2):
    opt, steps = torch.optim.AdamW(net.parameters(), lr, weight_decay=.05), job['epochs'] * -(-len(ids) // job['bs'])
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    for epoch in range(job['epochs']):
        net.train()
        total, t = 0., time.perf_counter()
        for i, x in by_length(ids, job['bs']):
            loss = F.cross_entropy(net(x), labels[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(i)
        print(f'epoch {epoch + 1}: loss {total / len(ids):.3f}, {time.perf_counter() - t:.0f} s', flush=True)
    return net.eval()

def rival(texts, labels, held)->float:
    "How many of the held-out reviews logistic regression on words and pairs of words gets right."
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    pairs = TfidfVectorizer(tokenizer=words_in, token_pattern=None, ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return make_pipeline(pairs, LogisticRegression(C=10, max_iter=300)).fit(texts, labels).score(*held)

def report(folder, learned, held)->list: # of lines
    "How many held-out reviews the network gets right, and what needs no network."
    net = load_reviews(folder)
    with torch.no_grad(): right = [net(net.read([t])).argmax(1).item() == y for t, y in zip(*held)]
    kb = (folder/'reviews.safetensors').stat().st_size // 1024
    share = sum(right) / len(right)
    return [f'Of {len(right)} reviews that neither has read, `reviews` ({kb} KB) gets {share:.1%} right.',
            f'Logistic regression on words and pairs of words gets {rival(*learned, held):.1%} right.']

def save(net, words, path, made):
    "Half precision is enough for weights; the words stand in their order."
    state = {k: t.half().contiguous() for k, t in net.state_dict().items()}
    meta = dict(vocab=FEELINGS, words=list(words), activation='softmax', made=made)
    save_file(state, path, metadata={k: json.dumps(v) for k, v in meta.items()})
    path.chmod(0o644)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--report', action='store_true', help='measure the weights, train nothing')
    p.add_argument('--tiny', action='store_true', help='a few reviews: does it run?')
    p.add_argument('--out', type=Path, default=DATA, help="the folder of the weights; the package's own if left out")
    a = p.parse_args()
    if a.tiny and a.out == DATA: p.error('--tiny needs --out, so that the shipped weights stay')
    job = TINY if a.tiny else FULL
    (texts, labels), held = reviews('reviews')
    texts, labels = texts[:job['n']], torch.tensor(labels[:job['n']])
    if not a.report:
        a.out.mkdir(parents=True, exist_ok=True)
        words = vocabulary(texts, job['words'])
        torch.manual_seed(0)
        net = train(ids_of(texts, words)[:, :job['length']], labels, TextNet(len(words), emb=32, ch=64), job)
        made = f"tools/make_reviews.py: {job['n']} film reviews from IMDb, {job['epochs']} epochs, from nothing"
        save(net, words, a.out/'reviews.safetensors', made)
    held = [part[:job['judged']] for part in held]
    lines = report(a.out, (texts, labels.tolist()), held)
    print('\n'.join(lines))
    if a.out == DATA: section(ROOT/'docs'/'weights.md', 'Film reviews', lines)

if __name__ == '__main__': main()
