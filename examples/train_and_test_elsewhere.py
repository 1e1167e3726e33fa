"""A classifier from a folder, tested on another hospital's images.

python examples/train_and_test_elsewhere.py FOLDER OTHER_HOSPITAL OUT
"""

import sys

import hilum

folder, elsewhere, out = sys.argv[1:4]
trained = hilum.train(folder, f"{out}/run")
print("here:", trained.verdict)
tested = hilum.evaluate(f"{out}/run", elsewhere, f"{out}/elsewhere")
print("elsewhere:", tested.verdict)
