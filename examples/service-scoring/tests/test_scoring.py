"""Run by `sealroom service test`, which serves the application and says where."""

import json
import os
import unittest
from urllib.error import HTTPError
from urllib.request import Request, urlopen

URL = os.environ["TEST_REMOTE_URL"]


def score(**applicant: float) -> float:
    request = Request(f"{URL}/score", json.dumps(applicant).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return json.load(answer)["score"]


class Scoring(unittest.TestCase):
    def test_late_payments_count(self) -> None:
        careful = score(age=40, income=3, late_payments=0)
        late = score(age=40, income=3, late_payments=4)
        self.assertLess(careful, 0.1)
        self.assertGreater(late, 0.6)

    def test_a_nonsensical_applicant_is_refused(self) -> None:
        with self.assertRaises(HTTPError) as refused:
            score(age=-1, income=3, late_payments=0)
        self.assertEqual(refused.exception.code, 422)
        refused.exception.close()
