"""Train a small neural network to read handwritten digits.

The 1,797 images of 8 x 8 pixels come with scikit-learn, so nothing is downloaded. What
is written to `outputs/` is kept with the run.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

OUTPUTS = Path("outputs")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--epochs", type=int, default=30, help="passes over the training images"
    )
    parser.add_argument(
        "--regularization", type=float, default=0.01, help="strength of the L2 penalty"
    )
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--hidden", type=int, default=256, help="width of the layers")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    OUTPUTS.mkdir(exist_ok=True)
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data,
        digits.target,
        test_size=0.25,
        stratify=digits.target,
        random_state=arguments.seed,
    )
    print(f"{len(train_x)} images to learn from, {len(test_x)} to test with")

    scaler = StandardScaler().fit(train_x)
    network = MLPClassifier(
        hidden_layer_sizes=(arguments.hidden, arguments.hidden // 2),
        alpha=arguments.regularization,
        learning_rate_init=arguments.learning_rate,
        random_state=arguments.seed,
    )
    with (OUTPUTS / "history.csv").open("w", newline="", buffering=1) as file:
        history = csv.writer(file)
        history.writerow(["epoch", "loss", "accuracy", "seconds"])
        for epoch in range(1, arguments.epochs + 1):
            began = time.perf_counter()
            fit_epoch(network, epoch, scaler.transform(train_x), train_y, arguments)
            loss, accuracy = evaluate(network, scaler.transform(test_x), test_y)
            seconds = time.perf_counter() - began
            history.writerow([epoch, loss, accuracy, round(seconds, 3)])
            line = f"epoch {epoch:>3}  loss {loss:.4f}  accuracy {accuracy:.2%}"
            print(f"\r{line}  ({seconds:.2f} s)".ljust(60))

    report(make_pipeline(scaler, network), test_x, test_y, arguments)


def fit_epoch(
    network: MLPClassifier,
    epoch: int,
    images: np.ndarray,
    labels: np.ndarray,
    arguments: argparse.Namespace,
) -> None:
    """Let the network see every image once, in an order of the epoch's own."""
    shuffle = np.random.default_rng([arguments.seed, epoch])
    order = shuffle.permutation(len(images))
    batches = np.array_split(order, max(1, len(order) // arguments.batch_size))
    for done, batch in enumerate(batches, start=1):
        network.partial_fit(images[batch], labels[batch], classes=range(10))
        show_progress(f"epoch {epoch:>3}", done, len(batches))


def evaluate(
    network: MLPClassifier, images: np.ndarray, labels: np.ndarray
) -> tuple[float, float]:
    """The loss and the accuracy on images that the network has not learned from."""
    probabilities = network.predict_proba(images)
    accuracy = accuracy_score(labels, probabilities.argmax(axis=1))
    return round(float(log_loss(labels, probabilities)), 4), round(float(accuracy), 4)


def show_progress(label: str, done: int, total: int, width: int = 24) -> None:
    """Draw a bar over the last one, as a terminal and the portal's log show it."""
    if done % 8 and done != total:
        return
    filled = width * done // total
    bar = "█" * filled + "░" * (width - filled)
    sys.stdout.write(f"\r{label} {bar} {done / total:4.0%}")
    sys.stdout.flush()


def report(
    model: Pipeline,
    images: np.ndarray,
    labels: np.ndarray,
    arguments: argparse.Namespace,
) -> None:
    """Write the model, its figures and a summary to `outputs/`."""
    predicted = model.predict(images)
    accuracy = float(accuracy_score(labels, predicted))
    matrix = confusion_matrix(labels, predicted)
    joblib.dump(model, OUTPUTS / "model.joblib")
    metrics = {"accuracy": accuracy, "arguments": vars(arguments)}
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics))
    with (OUTPUTS / "confusion.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["digit", *(f"read as {digit}" for digit in range(10))])
        writer.writerows([digit, *row] for digit, row in enumerate(matrix.tolist()))
    (OUTPUTS / "report.md").write_text(summary(accuracy, matrix, arguments))
    print(f"{accuracy:.2%} of the test images were read correctly")


def summary(accuracy: float, matrix: np.ndarray, arguments: argparse.Namespace) -> str:
    mistakes = sorted(
        (
            (int(matrix[true, read]), true, read)
            for true in range(10)
            for read in range(10)
            if true != read and matrix[true, read]
        ),
        reverse=True,
    )
    lines = [
        "# Handwritten digits",
        "",
        f"**{accuracy:.2%}** of {matrix.sum()} test images were read correctly.",
        "",
        "| argument | value |",
        "| --- | --- |",
        *(f"| `{name}` | {value} |" for name, value in vars(arguments).items()),
        "",
        "## What was confused most",
        "",
        *(f"- {true} read as {read}: {count}" for count, true, read in mistakes[:5]),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
