"""Learn on a Spark cluster what handwritten digits look like on average.

The 1,797 images of 8 x 8 pixels come with scikit-learn, so nothing is downloaded; only
the driver needs it. Each digit's mean image is found by the executors, and a test image
is read as the digit whose mean is nearest. All sums are of whole numbers, so that the
result is the same on any number of executors.
"""

import argparse
import json
from operator import add
from pathlib import Path

from pyspark.sql import SparkSession
from sklearn.datasets import load_digits

OUTPUTS = Path("outputs")
Image = tuple[int, ...]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument(
        "--test-every", type=int, default=4, help="which images are left to test with"
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    spark = SparkSession.builder.getOrCreate()
    context = spark.sparkContext
    print(f"Spark {spark.version}, application {context.applicationId}")

    digits = load_digits()
    images = [tuple(map(int, pixels)) for pixels in digits.data]
    labeled = list(zip(map(int, digits.target), images, strict=True))
    tests = labeled[:: arguments.test_every]
    lessons = [each for n, each in enumerate(labeled) if n % arguments.test_every]
    print(f"{len(lessons)} images to learn from, {len(tests)} to test with")

    means = dict(
        context.parallelize(lessons, arguments.partitions)
        .mapValues(lambda image: (1, image))
        .reduceByKey(combine)
        .mapValues(lambda total: [pixel / total[0] for pixel in total[1]])
        .collect()
    )
    shared = context.broadcast(means)
    read = (
        context.parallelize(tests, arguments.partitions)
        .map(lambda each: ((each[0], nearest(each[1], shared.value)), 1))
        .reduceByKey(add)
        .collect()
    )
    spark.stop()
    report(read, len(tests))


def combine(one: tuple[int, Image], other: tuple[int, Image]) -> tuple[int, Image]:
    """The number of images, and the sum of each of their pixels."""
    return one[0] + other[0], tuple(map(add, one[1], other[1]))


def nearest(image: Image, means: dict[int, list[float]]) -> int:
    def distance(digit: int) -> float:
        pairs = zip(image, means[digit], strict=True)
        return sum((pixel - mean) ** 2 for pixel, mean in pairs)

    return min(sorted(means), key=distance)


def report(read: list[tuple[tuple[int, int], int]], tests: int) -> None:
    """Write the figures to `outputs/`."""
    right = sum(count for (true, seen), count in read if true == seen)
    for digit in range(10):
        seen = {got: count for (true, got), count in read if true == digit}
        share = seen.get(digit, 0) / sum(seen.values())
        print(f"digit {digit}: {share:.1%} read correctly")
    OUTPUTS.mkdir(exist_ok=True)
    metrics = {"accuracy": right / tests, "right": right, "tests": tests}
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics))
    print(f"{right / tests:.2%} of the test images were read correctly")


if __name__ == "__main__":
    main()
