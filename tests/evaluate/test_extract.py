"""Answers as models write them, and what must be read in them."""

import ast
import inspect
import sys
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flannb.evaluate.extract import correct, extract

ANIMALS = ("shark", "blue whale", "whale", "sea lion")
NLI = ("yes", "it is not possible to tell", "no")
BOOL = ("no", "yes")
MONEY = ("$12.00", "$15.00", "$1,200.00", "$0.50")
GRADES = ("B", "A", "C", "D")
NEGATIVE = ("5", "-5", "15", "1.5")
ENTAILMENT = ("entailment", "not entailment")
WITH_LETTERS = ("carbon dioxide", "vitamin C", "vitamin D", "group A")
STATEMENTS = ("I only", "II only", "I and II", "I, II, and III")
PAIRS = ("True, True", "False, False", "True, False", "False, True")
DIGITS = ("4", "2", "0", "6")
ABOVE = ("red", "blue", "none of the above", "all of the above")
FLIGHT = ("can fly", "cannot fly", "may fly", "flies at night")
LETTERS = ("a", "b", "c", "d")
EQUATIONS = ("x = 2", "x = -2", "x = 1/2", "2x")
DEGREES = ("90°", "45°", "30°", "60°")

OPTION_CASES = [
    # letters
    ("(A)", ANIMALS, "shark"),
    ("(b)", ANIMALS, "blue whale"),
    ("B", ANIMALS, "blue whale"),
    ("b", ANIMALS, "blue whale"),
    ("B.", ANIMALS, "blue whale"),
    ("B)", ANIMALS, "blue whale"),
    ("[C]", ANIMALS, "whale"),
    ("(D).", ANIMALS, "sea lion"),
    (" D ", ANIMALS, "sea lion"),
    ("- D", ANIMALS, "sea lion"),
    ("D:", ANIMALS, "sea lion"),
    ("(E)", ANIMALS, None),
    ("Z", ANIMALS, None),
    ("option B", ANIMALS, "blue whale"),
    ("Option (C)", ANIMALS, "whale"),
    ("I choose option D", ANIMALS, "sea lion"),
    ("letter A", ANIMALS, "shark"),
    ("( B )", ANIMALS, "blue whale"),
    # letters with texts
    ("B. blue whale", ANIMALS, "blue whale"),
    ("(B) blue whale", ANIMALS, "blue whale"),
    ("(A) blue whale", ANIMALS, "shark"),
    ("(C): whale.", ANIMALS, "whale"),
    ("D) sea lion", ANIMALS, "sea lion"),
    # texts
    ("shark", ANIMALS, "shark"),
    ("Shark", ANIMALS, "shark"),
    ("SHARK.", ANIMALS, "shark"),
    ("  blue   whale ", ANIMALS, "blue whale"),
    ("blue\nwhale", ANIMALS, "blue whale"),
    ('"blue whale"', ANIMALS, "blue whale"),
    ("'whale'.", ANIMALS, "whale"),
    ("the blue whale", ANIMALS, "blue whale"),
    ("a whale", ANIMALS, "whale"),
    ("A whale", ANIMALS, "whale"),
    ("It is a whale.", ANIMALS, "whale"),
    ("sharks", ANIMALS, None),
    ("dolphin", ANIMALS, None),
    ("", ANIMALS, None),
    ("   ", ANIMALS, None),
    ("...", ANIMALS, None),
    ("not the whale", ANIMALS, None),
    ("not the whale but the shark", ANIMALS, "shark"),
    # explanations
    ("The largest animal is the blue whale. So the answer is (B).", ANIMALS, "blue whale"),
    ("The shark is a fish, so the answer is whale", ANIMALS, "whale"),
    ("So the answer is blue whale, not shark.", ANIMALS, "blue whale"),
    ("The answer is B", ANIMALS, "blue whale"),
    ("The answer is B because it is big, unlike (A).", ANIMALS, "blue whale"),
    ("The answer is a whale.", ANIMALS, "whale"),
    ("The answer is A whale.", ANIMALS, "whale"),
    ("The answer is A.", ANIMALS, "shark"),
    ("The answer is: (D)", ANIMALS, "sea lion"),
    ("Answer: C", ANIMALS, "whale"),
    ("ANSWER: sea lion", ANIMALS, "sea lion"),
    ("the correct answer is option C", ANIMALS, "whale"),
    ("The answer is not (A) but (C).", ANIMALS, "whale"),
    ("The answer isn't (A). It must be (C)", ANIMALS, "whale"),
    ("The answer is (A). Wait. The answer is (B).", ANIMALS, "blue whale"),
    ("The answer is (A). Then I saw the whale.", ANIMALS, "shark"),
    ("The answer is shark. So the answer is", ANIMALS, "shark"),
    ("A shark is a fish. A sea lion is not. So sea lion.", ANIMALS, "sea lion"),
    ("(A) is wrong, (B) is too big, so (D)", ANIMALS, "sea lion"),
    ("First the blue whale, then the whale", ANIMALS, "whale"),
    ("First the whale, then the blue whale", ANIMALS, "blue whale"),
    ("we compare the shark and the whale so the answer is shark .", ANIMALS, "shark"),
    ("The answer is something else entirely", ANIMALS, None),
    ("The answer is “blue whale”.", ANIMALS, "blue whale"),
    ("so the answer is\n(C)", ANIMALS, "whale"),
    # marked up, quoted, in full-width letters, negated
    ("**B**", ANIMALS, "blue whale"),
    ("**(B)**", ANIMALS, "blue whale"),
    ("The answer is **(B)**.", ANIMALS, "blue whale"),
    ("**Answer:** C", ANIMALS, "whale"),
    ("\\boxed{B}", ANIMALS, "blue whale"),
    ("The answer is \\boxed{(C)}.", ANIMALS, "whale"),
    ("The final answer is $\\boxed{D}$", ANIMALS, "sea lion"),
    ("\\text{sea lion}", ANIMALS, "sea lion"),
    ("<b>B</b>", ANIMALS, "blue whale"),
    ("<strong>sea lion</strong>", ANIMALS, "sea lion"),
    ("`B`", ANIMALS, "blue whale"),
    ("Answer:\n\nB", ANIMALS, "blue whale"),
    ("ANSWER:B", ANIMALS, "blue whale"),
    ("answer:(c)", ANIMALS, "whale"),
    ('the answer is "C"', ANIMALS, "whale"),
    ("（B）", ANIMALS, "blue whale"),
    ("The answer is\u3000(B)", ANIMALS, "blue whale"),
    ("(B) (B) (B) (B)", ANIMALS, "blue whale"),
    ("blue whale blue whale blue whale", ANIMALS, "blue whale"),
    ("Neither (A) nor (B), so (C)", ANIMALS, "whale"),
    ("It can't be (A).", ANIMALS, None),
    ("It cannot be the shark, so it is (C)", ANIMALS, "whale"),
    ("the answer is the sea lion, not the shark", ANIMALS, "sea lion"),
    # options that look like letters, contain each other, or are negations
    ("A", GRADES, "A"),
    ("(A)", GRADES, "B"),
    ("B", GRADES, "B"),
    ("The answer is (D)", GRADES, "D"),
    ("entailment", ENTAILMENT, "entailment"),
    ("not entailment", ENTAILMENT, "not entailment"),
    ("it is not entailment", ENTAILMENT, "not entailment"),
    ("The answer is not entailment.", ENTAILMENT, "not entailment"),
    ("It is not possible to tell.", NLI, "it is not possible to tell"),
    ("Yes", NLI, "yes"),
    ("No.", NLI, "no"),
    ("There is no way to know, it is not possible to tell", NLI, "it is not possible to tell"),
    ("There is no doubt: yes", NLI, "yes"),
    ("yes, there is no doubt", NLI, "yes"),
    ("(C)", NLI, "no"),
    ("True", NLI, None),
    # yes and no as options
    ("yes", BOOL, "yes"),
    ("True", BOOL, "yes"),
    ("false.", BOOL, "no"),
    ("Yes, because there is no law against it", BOOL, "yes"),
    ("No, it can not", BOOL, "no"),
    ("The answer is no", BOOL, "no"),
    ("There is no such thing. So the answer is yes.", BOOL, "yes"),
    ("(A)", BOOL, "no"),
    ("B", BOOL, "yes"),
    ("yes", ("False", "True"), "True"),
    ("no", ("False", "True"), "False"),
    ("maybe", BOOL, None),
    # numbers as options
    ("12", MONEY, "$12.00"),
    ("$12", MONEY, "$12.00"),
    ("12.00 dollars", MONEY, "$12.00"),
    ("1200", MONEY, "$1,200.00"),
    ("0.5", MONEY, "$0.50"),
    (".50", MONEY, "$0.50"),
    ("13", MONEY, None),
    ("3 * 5 = 15 . so the answer is 15", MONEY, "$15.00"),
    ("5", NEGATIVE, "5"),
    ("-5", NEGATIVE, "-5"),
    ("it is 1.5", NEGATIVE, "1.5"),
    ("it is 15.", NEGATIVE, "15"),
    ("10 + 5 gives 15", NEGATIVE, "15"),
    ("5.0", NEGATIVE, "5"),
    ("7", NEGATIVE, None),
    # options that look alike
    ("(D)", ("kmph", "kmph", "mph", "kmph"), "(D)"),
    ("kmph", ("kmph", "kmph", "mph", "kmph"), "(A)"),
    ("(C)", ("kmph", "kmph", "mph", "kmph"), "mph"),
    ("(B)", ("a", "", "c"), "(B)"),
    # no options at hand: letters
    ("(B)", None, "(B)"),
    ("B", None, "(B)"),
    ("b.", None, "(B)"),
    ("(R)", None, "(R)"),
    ("So the answer is (C).", None, "(C)"),
    ("So the answer is C.", None, "(C)"),
    ("So the answer is C because of it.", None, "(C)"),
    ("(A) is false. (B) is true. So the answer is (B). Not (A).", None, "(B)"),
    ("(A) is false. (B) is true.", None, "(B)"),
    ("(B) 12/14/2026", None, "(B)"),
    ("B. 12/14/2026", None, "(B)"),
    ("12/14/2026", None, None),
    ("", None, None),
    ("no letter at all", None, None),
    # longer, odder
    (
        "First, the shark is a fish.\nSecond, the whale is not the largest.\nTherefore the answer is (B).\n",
        ANIMALS,
        "blue whale",
    ),
    ("Let's see.\n1. shark: no\n2. blue whale: yes\n\n**Final Answer:** (B) blue whale", ANIMALS, "blue whale"),
    ("The answer is (A).\n\nWait, that's wrong.\n\nThe correct answer is (C).", ANIMALS, "whale"),
    ("the answer is not shark. The answer is whale.", ANIMALS, "whale"),
    ("The answer is neither the shark nor the whale, it is the sea lion", ANIMALS, "sea lion"),
    ("The final answer is $\\boxed{\\text{(B)}}$.", ANIMALS, "blue whale"),
    ("\\boxed{\\text{B}}", ANIMALS, "blue whale"),
    ("\\(\\boxed{C}\\)", ANIMALS, "whale"),
    ("The answer is $\\text{sea lion}$", ANIMALS, "sea lion"),
    ("Answer: B) blue whale\nExplanation: whales are big, (A) is a fish", ANIMALS, "blue whale"),
    ("A: whale", ANIMALS, "whale"),
    ("It's B.", ANIMALS, "blue whale"),
    ("I think it's (D), sea lion", ANIMALS, "sea lion"),
    ("My answer: d", ANIMALS, "sea lion"),
    ("vitamin C", WITH_LETTERS, "vitamin C"),
    ("The answer is vitamin D.", WITH_LETTERS, "vitamin D"),
    ("vitamin c", WITH_LETTERS, "vitamin C"),
    ("group A", WITH_LETTERS, "group A"),
    ("(C)", WITH_LETTERS, "vitamin D"),
    ("C", WITH_LETTERS, "vitamin D"),
    ("The answer is C. vitamin D", WITH_LETTERS, "vitamin D"),
    ("It helps with vitamin C, so the answer is vitamin D", WITH_LETTERS, "vitamin D"),
    ("I only", STATEMENTS, "I only"),
    ("The answer is I and II.", STATEMENTS, "I and II"),
    ("I, II, and III", STATEMENTS, "I, II, and III"),
    ("II only", STATEMENTS, "II only"),
    ("(C) I and II", STATEMENTS, "I and II"),
    ("True, False", PAIRS, "True, False"),
    ("The answer is False, True.", PAIRS, "False, True"),
    ("true, true", PAIRS, "True, True"),
    ("(B) False, False", PAIRS, "False, False"),
    ("0", DIGITS, "0"),
    ("The answer is 6.", DIGITS, "6"),
    ("2.0", DIGITS, "2"),
    ("(A)", DIGITS, "4"),
    ("A) 4", DIGITS, "4"),
    ("So x = 2 + 2 = 4", DIGITS, "4"),
    ("none of the above", ABOVE, "none of the above"),
    ("The answer is none of the above", ABOVE, "none of the above"),
    ("It is not red, so none of the above", ABOVE, "none of the above"),
    ("all of the above.", ABOVE, "all of the above"),
    ("None of these", ABOVE, None),
    ("cannot fly", FLIGHT, "cannot fly"),
    ("They cannot fly", FLIGHT, "cannot fly"),
    ("The answer is can fly", FLIGHT, "can fly"),
    ("flies at night", FLIGHT, "flies at night"),
    ("b", LETTERS, "b"),
    ("(b)", LETTERS, "b"),
    ("The answer is b.", LETTERS, "b"),
    ("x = -2", EQUATIONS, "x = -2"),
    ("The answer is x = 2", EQUATIONS, "x = 2"),
    ("$x = \\frac{1}{2}$", EQUATIONS, "x = 1/2"),
    ("45°", DEGREES, "45°"),
    ("The answer is 60 degrees", DEGREES, "60°"),
    ("30", DEGREES, "30°"),
    ("$90^\\circ$", DEGREES, "90°"),
    ("Both (A) and (B) are fish. So (C).", ANIMALS, "whale"),
    (
        "Options: (A) shark (B) blue whale. The answer is (B) blue whale.\n\nQ: Which is small?\nA: (A)",
        ANIMALS,
        "blue whale",
    ),
    ("The answer is (B)(B)(B)", ANIMALS, "blue whale"),
    ("answer is: **(D)**", ANIMALS, "sea lion"),
    ("<answer>(B)</answer>", ANIMALS, "blue whale"),
    ("The answer is <b>whale</b>", ANIMALS, "whale"),
    ("The answer is option (b).", ANIMALS, "blue whale"),
    ("Choice C is right", ANIMALS, "whale"),
    ("The answer should be (C)", ANIMALS, "whale"),
    ("the answer would be whale", ANIMALS, "whale"),
    ("The best answer is D.", ANIMALS, "sea lion"),
    ("So the answer must be B", ANIMALS, "blue whale"),
    ("The answer is B, C is wrong", ANIMALS, "blue whale"),
    ("The answer is the first option.", ANIMALS, None),
    ("(A) shark\n(B) blue whale\n(C) whale\n(D) sea lion", ANIMALS, "sea lion"),
    ("The answer is (Z).", ANIMALS, None),
    ("The answer is (C)", None, "(C)"),
    ("So the answer is (C).\n\nQ: next\nA: So the answer is (D).", None, "(D)"),
]

NUMBER_CASES = [
    ("5", "5"),
    ("5.", "5"),
    (" 5 ", "5"),
    ("5.0", "5"),
    ("5.00", "5"),
    ("5.50", "5.5"),
    ("0.5", "0.5"),
    (".5", "0.5"),
    ("05", "5"),
    ("-5", "-5"),
    ("−5", "-5"),
    ("-0", "0"),
    ("-0.25", "-0.25"),
    ("1,234", "1234"),
    ("1,234,567.80", "1234567.8"),
    ("1,23", "23"),
    ("1, 2, 3", "3"),
    ("$5", "5"),
    ("$1,000", "1000"),
    ("$1,234.50.", "1234.5"),
    ("-$5", "-5"),
    ("$-5", "-5"),
    ("€7", "7"),
    ("£7.20", "7.2"),
    ("50%", "50"),
    ("50 %", "50"),
    ("12.5%", "12.5"),
    ("5kg", "5"),
    ("5 km", "5"),
    ("5 apples", "5"),
    ("9 (apples)", "9"),
    ("20 m/s", "20"),
    ("1/2", "0.5"),
    ("1 / 2", "0.5"),
    ("1/3", "1/3"),
    ("2/6", "1/3"),
    ("-1/3", "-1/3"),
    ("10/5", "2"),
    ("½", "0.5"),
    ("2½", "2.5"),
    ("2 1/2", "2.5"),
    ("-2 1/2", "-2.5"),
    ("1/0", None),
    ("1e3", "1000"),
    ("2.5e-3", "0.0025"),
    ("1E+2", "100"),
    ("1e999999999", "1"),
    ("9" * 5000, None),
    ("five", "5"),
    ("Five apples", "5"),
    ("twenty five", "25"),
    ("Twenty-five.", "25"),
    ("twenty", "20"),
    ("zero", "0"),
    ("one of them is red", None),
    ("", None),
    ("no number here", None),
    ("-", None),
    ("$", None),
    ("x2", None),
    ("CO2", None),
    ("?", None),
    # explanations
    ("3 + 2 = 5 . so the answer is 5", "5"),
    ("She has 3 and buys 2. The answer is 5.", "5"),
    ("The answer is 5 apples and 2 pears", "5"),
    ("The answer is 3 + 2 = 5 apples.", "5"),
    ("The answer is x = 5. Then 7 more.", "5"),
    ("The answer is: $1,200 per year", "1200"),
    ("The answer is -4", "-4"),
    ("answer: 12", "12"),
    ("Answer = 12", "12"),
    ("Some reasoning with 10.\n#### 18", "18"),
    ("#### 1,018", "1018"),
    ("The answer is 5. The answer is 6.", "6"),
    ("The answer is 5. So 7 is wrong.", "5"),
    ("The answer is 5. So the answer is", "5"),
    ("3 + 4 = 7, so 7 - 2 = 5", "5"),
    ("3+4=7", "7"),
    ("7-3=4", "4"),
    ("7-3", "3"),
    ("7 -3", "3"),
    ("(7)-3", "3"),
    ("it falls to -3", "-3"),
    ("x = -3", "-3"),
    ("(-3)", "-3"),
    ("from 10-15", "15"),
    ("The answer is not 5, it is 6", "6"),
    ("The answer isn't 5 but 6", "6"),
    ("The answer is five.", "5"),
    ("The answer is five hundred and 3", "3"),
    ("We have 12 / 4 = 3 each", "3"),
    ("so 4.So it is done", "4"),
    ("the total is...5", "5"),
    ("is 5 . ", "5"),
    ("5!", "5"),
    ("(5)", "5"),
    ("**5**", "5"),
    ("\\boxed{42}", "42"),
    ("1\u202f234", "234"),
    ("5th", "5"),
    ("a non-5 thing", "5"),
    ("the answer is\n\n8", "8"),
    ("The answer is 100%.", "100"),
    ("\\frac{1}{2}", "0.5"),
    ("$\\dfrac{3}{4}$", "0.75"),
    ("The answer is \\$18.", "18"),
    ("The answer is: **72**", "72"),
    ("**Answer: 72**", "72"),
    ("\\boxed{-7}", "-7"),
    ("5 5 5 5", "5"),
    ("8 (eight)", "8"),
    ("1e5", "100000"),
    ("５", "5"),
    ("3½", "3.5"),
    ("∞", None),
    ("NaN", None),
    ("The answer is 5\n\nQ: What is 6?\nA: 7", "5"),
    ("2 * 3 * 4 = 24", "24"),
    ("2**3 = 8", "8"),
    # longer, odder
    ("He has 5 + 3 = 8 apples.\nThen he eats 2, so 8 - 2 = 6.\nThe answer is 6.", "6"),
    ("The answer is $\\boxed{1{,}234}$", "1234"),
    ("\\boxed{\\frac{3}{4}}", "0.75"),
    ("$\\frac{-1}{2}$", "-0.5"),
    ("-\\frac{1}{2}", "-0.5"),
    ("12 dozen", "12"),
    ("3.5 hours", "3.5"),
    ("2 hours 30 minutes", "30"),
    ("The answer is 2 hours and 30 minutes", "2"),
    ("$3.50 each", "3.5"),
    ("The answer is 10^2", "10"),
    ("The answer is approximately 3.14", "3.14"),
    ("~7", "7"),
    ("≈ 7", "7"),
    ("about 1.5 million", "1.5"),
    ("The total is 5. The answer is therefore 7.", "7"),
    ("Therefore, the answer is **12** eggs.", "12"),
    ("The answer is 5.\n\nThe answer is 5.", "5"),
    ("#### -3", "-3"),
    ("#### $1,000.00", "1000"),
    ("x=5 or x=7", "7"),
    ("The answer is x=5", "5"),
    ("5 - 3", "3"),
    ("3-5=-2", "-2"),
    ("1st", "1"),
    ("Room 101B", "101"),
    ("between 5 and 7", "7"),
    ("The answer is 50 % of 20 = 10", "10"),
    ("twelve", "12"),
    ("The answer is twelve eggs", "12"),
    ("thirty two", "32"),
    ("one hundred", "100"),
    ("The answer is two thousand dollars.", "2000"),
    ("a dozen eggs", "12"),
    ("twenty-five hundred", "2500"),
    ("one hundred and five", None),
    ("one hundred five", None),
    ("1.", "1"),
    ("1..", "1"),
    ("1,000,000", "1000000"),
    ("10,00", "0"),
    ("The answer is\n\\[ 42 \\]", "42"),
    ("\\(42\\)", "42"),
    ("The answer is 42\\%", "42"),
    ("+5", "5"),
    ("(2, 3)", "3"),
    ("5:30", "30"),
    ("2024-05-06", "6"),
]

YES_NO_CASES = [
    ("yes", "yes"),
    ("Yes.", "yes"),
    ("YES!", "yes"),
    ("true", "yes"),
    ("True.", "yes"),
    ("yeah", "yes"),
    ("no", "no"),
    ("No.", "no"),
    ("NO", "no"),
    ("false", "no"),
    ("nope", "no"),
    ('"no"', "no"),
    (" yes ", "yes"),
    ("(yes)", "yes"),
    ("Yes, because there is no law against it.", "yes"),
    ("No, because he is big.", "no"),
    ("no because he is big", "no"),
    ("not true", "no"),
    ("This isn't true", "no"),
    ("not false", "yes"),
    ("The answer is yes.", "yes"),
    ("The answer is no", "no"),
    ("so the answer is no .", "no"),
    ("The answer is no because true things are rare", "no"),
    ("The answer is not true.", "no"),
    ("Is it true? It is. The answer is false.", "no"),
    ("There is no reason to doubt, so yes", "yes"),
    ("It looks like yes, but then no.", "no"),
    ("The answer is yes. The answer is no.", "no"),
    ("The answer is no. Yes?", "no"),
    ("Answer: True", "yes"),
    ("not ( True ) and ( True ) = not True and True = False", "no"),
    ("No one knows", None),
    ("nobody", None),
    ("yesterday", None),
    ("maybe", None),
    ("", None),
    ("?", None),
    # longer, odder
    ("The answer is yes, because no one objects", "yes"),
    ("Yes and no, but the answer is no.", "no"),
    ("The answer is: No, it is not true", "no"),
    ("It is false that it is raining. So no.", "no"),
    ("\\boxed{\\text{Yes}}", "yes"),
    ("**No**", "no"),
    ("Answer: FALSE", "no"),
    ("not yes", "no"),
    ("No, that's not true. The answer is no.", "no"),
    ("This cannot be true", "no"),
    ("It's true.", "yes"),
    ("It is never true", "yes"),
    ("Yes.\nNo.", "no"),
    ("No.\n\nQ: another\nA: yes", "yes"),
    ("The statement is true, so the answer is yes", "yes"),
    ("The answer is definitely not yes", "no"),
    ("The answer isn't no", "yes"),
    ("There's no way. So the answer is no.", "no"),
    ("False because it is not so", "no"),
    ("Correct", None),
    ("the answer is plausible, so yes", "yes"),
    ("So the answer is no. yes yes yes", "no"),
]

TEXT_CASES = [
    ("paris", "paris"),
    ("Paris.", "Paris"),
    ("paris .", "paris"),
    ("  new   york ", "new york"),
    ('"paris"', "paris"),
    ("'paris.'", "paris"),
    ("The capital is paris. So the answer is paris.", "paris"),
    ("so the answer is paris", "paris"),
    ("The answer is: syndrome therefrom.\nQ: more", "syndrome therefrom"),
    ("So the answer is ] } ).", "] } )"),
    ("] )", "] )"),
    ("The answer is rome. The answer is paris.", "paris"),
    ("The answer is rome. The answer is", "rome"),
    ("Answer: return x + 3", "return x + 3"),
    ("valid", "valid"),
    ("U.S.", "U.S"),
    ("it's", "it's"),
    ("", None),
    (" ", None),
    ("\n", None),
    # longer, odder
    ("So the answer is ) ] }.\n\nQ: next", ") ] }"),
    ("The answer is: apple banana cherry", "apple banana cherry"),
    ("the answer is\nvalid", "valid"),
    ("So the answer is valid. It is so.", "valid. It is so"),
    ("\\boxed{\\text{valid}}", "valid"),
    ("**valid**", "valid"),
    ("The answer is True.", "True"),
    ("not ( True ) = False", "not ( True ) = False"),
    ("The answer is “Paris”", "Paris"),
    ("Answer: Paris (France)", "Paris (France)"),
    ("> ] )", "> ] )"),
]


@pytest.mark.parametrize(("prediction", "options", "expected"), OPTION_CASES)
def test_option(prediction, options, expected):
    assert extract(prediction, "option", options) == expected


@pytest.mark.parametrize(("prediction", "expected"), NUMBER_CASES)
def test_number(prediction, expected):
    assert extract(prediction, "number") == expected


@pytest.mark.parametrize(("prediction", "expected"), YES_NO_CASES)
def test_yes_no(prediction, expected):
    assert extract(prediction, "yes_no") == expected


@pytest.mark.parametrize(("prediction", "expected"), TEXT_CASES)
def test_text(prediction, expected):
    assert extract(prediction, "text") == expected


def test_more_than_400_cases_are_written():
    cases = [OPTION_CASES, NUMBER_CASES, YES_NO_CASES, TEXT_CASES]
    assert sum(len({str(case) for case in group}) for group in cases) > 400


@pytest.mark.parametrize(
    ("extraction", "gold", "kind", "options", "expected"),
    [
        ("blue whale", "blue whale", "option", ANIMALS, True),
        ("blue whale", "(B)", "option", ANIMALS, True),
        ("(B)", "Blue whale.", "option", ANIMALS, True),
        ("B", "b", "option", ANIMALS, True),
        ("blue whale", "whale", "option", ANIMALS, False),
        ("A", "A", "option", GRADES, True),
        ("A", "B", "option", GRADES, False),
        ("B", "(A)", "option", GRADES, True),
        ("dolphin", "dolphin", "option", ANIMALS, False),
        ("(D)", "(D)", "option", ("kmph", "kmph", "mph", "kmph"), True),
        ("(A)", "(D)", "option", ("kmph", "kmph", "mph", "kmph"), False),
        ("(C)", "(C)", "option", None, True),
        ("(C)", "C", "option", None, True),
        ("(C)", "(D)", "option", None, False),
        ("5", "5", "number", None, True),
        ("5", "5.0", "number", None, True),
        ("5", "$5", "number", None, True),
        ("9", "9 (apples)", "number", None, True),
        ("9", "9 (of 10 apples)", "number", None, True),
        ("1234", "1,234", "number", None, True),
        ("0.5", "1/2", "number", None, True),
        ("1/3", "2/6", "number", None, True),
        ("0.33", "1/3", "number", None, False),
        ("50", "50%", "number", None, True),
        ("-5", "5", "number", None, False),
        ("-5", "−5", "number", None, True),
        ("5", "five", "number", None, True),
        ("5", "unknown", "number", None, False),
        ("yes", "True", "yes_no", None, True),
        ("no", "False", "yes_no", None, True),
        ("yes", "Yes.", "yes_no", None, True),
        ("yes", "no", "yes_no", None, False),
        ("yes", "maybe", "yes_no", None, False),
        ("paris", "Paris.", "text", None, True),
        ("it's", "it’s", "text", None, True),
        ("paris", "rome", "text", None, False),
        ("U.S", "U.S.", "text", None, True),
        ("00", "0`0`", "text", None, True),
        ("a", "**`a`**", "text", None, True),
        ("<b></b>", "<b></b>", "text", None, True),
        ("7", "**7**", "number", None, True),
    ],
)
def test_correct(extraction, gold, kind, options, expected):
    assert correct(extraction, gold, kind, options) is expected


@pytest.mark.parametrize("kind", ["option", "number", "yes_no", "text"])
def test_no_answer_is_never_correct(kind):
    assert correct(None, "5", kind, None) is False


def test_an_unknown_kind_is_named_with_the_known_ones():
    for call in (lambda: extract("5", "digit"), lambda: correct("5", "5", "digit")):
        with pytest.raises(ValueError, match="'digit' is unknown; it must be one of option, number, yes_no, text"):
            call()


def test_imports_only_the_standard_library():
    code = inspect.getsource(inspect.getmodule(extract))
    tree = ast.parse(code)
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


# Text with the marks that readers look for, so that random strings reach their branches.
UGLY = st.lists(
    st.sampled_from(
        [
            "answer is",
            "answer:",
            "####",
            "(A)",
            "B.",
            "not ",
            "1,2",
            "-",
            "$",
            "/",
            "0",
            "=",
            "yes",
            "no",
            " ",
            "\n",
            "½",
        ]
    )
    | st.text(max_size=6)
).map("".join)
KINDS = st.sampled_from(["option", "number", "yes_no", "text"])
OPTIONS = st.none() | st.lists(UGLY, max_size=6).map(tuple)


@given(UGLY | st.text(), KINDS, OPTIONS, UGLY)
def test_never_raises_and_reads_its_own_answers(prediction, kind, options, gold):
    answer = extract(prediction, kind, options)
    assert answer is None or answer.strip()
    assert isinstance(correct(answer, gold, kind, options), bool)


WORDS = st.sampled_from(
    ["red", "green", "blue", "shark", "whale", "sea", "lion", "small", "stone", "tree", "lake", "big", "old", "river"]
)
PHRASES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
FRAMES = st.sampled_from(
    ["{}", "{}.", "{} .", " {}\n", "It is 3 or (D). So the answer is {}.", "so the answer is {}", "Answer: {}"]
)


@given(st.lists(PHRASES, min_size=2, max_size=8, unique=True).map(tuple), st.data(), FRAMES)
def test_a_rendered_option_reads_as_gold(options, data, frame):
    index = data.draw(st.integers(0, len(options) - 1))
    gold = options[index]
    letter = "ABCDEFGH"[index]
    for target in (gold, f"({letter})", f"{letter}.", f"({letter}) {gold}"):
        answer = extract(frame.format(target), "option", options)
        assert correct(answer, gold, "option", options), (frame.format(target), answer)
        others = [option for option in options if option != gold]
        assert not any(correct(answer, other, "option", options) for other in others)


@pytest.mark.parametrize(
    ("prediction", "kind", "options", "answer"),
    [
        ("Is it so? Options: - yes - no", "yes_no", None, None),
        ("Is it so? Options: -yes -no", "yes_no", None, None),
        ("What is the stream? Options: (A) 1/8 (B)", "option", ANIMALS, None),
        ("Who was it? OPTIONS:\n- (A) shark\n- (B) blue wh", "option", ANIMALS, None),
        ("How many? Options: A. 5 B. 7", "number", None, None),
        ("Is it so? Options: - yes - no Answer: no", "yes_no", None, "no"),
        ("(B)\n\nWhat is it? Options: (A) 1 (B) 2 (C) 3", "option", ANIMALS, "blue whale"),
        ("The answer is (C). Who? Options: (A) me (B) you", "option", ANIMALS, "whale"),
        ("Options: (B)", "option", ANIMALS, "blue whale"),
        ("Of these options (A) is wrong and (B) is right", "option", ANIMALS, "blue whale"),
    ],
)
def test_a_list_of_options_that_a_model_invents_states_none_of_them(prediction, kind, options, answer):
    assert extract(prediction, kind, options) == answer


@given(st.sampled_from("ABCDEFGHIJKLMNOPQR"), FRAMES)
def test_a_rendered_letter_reads_as_gold_without_options(letter, frame):
    assert extract(frame.format(f"({letter})"), "option", None) == f"({letter})"


@given(st.integers(-(10**9), 10**9) | st.decimals(-(10**6), 10**6, places=2), FRAMES)
def test_a_rendered_number_reads_as_gold(value, frame):
    for written in (f"{value}", f"{value:,}", f"{value} km"):
        answer = extract(frame.format(written), "number")
        assert answer is not None
        assert Fraction(answer) == Fraction(value)
        assert correct(answer, written, "number")


@given(st.fractions(max_denominator=99), FRAMES)
def test_a_rendered_fraction_reads_as_gold(value, frame):
    answer = extract(frame.format(value), "number")
    assert answer is not None
    assert Fraction(answer) == value


@given(st.sampled_from(["yes", "no", "True", "False", "Yes", "No"]), FRAMES)
def test_a_rendered_yes_or_no_reads_as_gold(gold, frame):
    assert correct(extract(frame.format(gold), "yes_no"), gold, "yes_no")


@given(st.text(), FRAMES)
def test_a_rendered_text_reads_as_gold(gold, frame):
    assume(gold.strip(". ") and len(gold.splitlines()) == 1 and gold == gold.strip())
    # A colon right after "answer is" belongs to it.
    assume(not any(mark in gold.lower() for mark in ("answer", "#", "＃")) and gold[0] not in ":：")
    assert correct(extract(frame.format(gold), "text"), gold, "text")


LATEX = ("\\frac{1}{8}", "\\frac{8}{15}", "\\frac{7}{15}", "7")


@pytest.mark.parametrize("frame", ["{}", "The answer is {}.", "So the answer is: ${}$", "({letter}) {}"])
@pytest.mark.parametrize(
    "options", [LATEX, ("3", "\\frac{1}{49}", "\\frac{1}{7}", "7"), ("\\text{a}", "**b**", "\\(x\\)")]
)
def test_options_with_markup_read_as_themselves(options, frame):
    for index, option in enumerate(options):
        found = extract(frame.format(option, letter="ABCD"[index]), "option", options)
        assert found == option and correct(found, option, "option", options)
    assert extract("7/15", "option", LATEX) == LATEX[2]


def test_of_two_options_with_one_text_either_letter_is_right():
    options = ("pantry", "bar", "bar")
    assert [
        correct(extract(text, "option", options), "bar", "option", options) for text in ("(A)", "(B)", "(C)", "bar")
    ] == [
        False,
        True,
        True,
        True,
    ]
