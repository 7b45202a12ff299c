import pytest

from evenkeel.errors import Problem, Problems, Refused, for_inventory, gravest


def test_a_message_names_what_where_wanted_got_and_next_on_lines_of_their_own():
    error = Refused("No", where="here", wanted="this", got="that", next_step="do so")
    assert str(error).splitlines() == [
        "No",
        "  where:  here",
        "  wanted: this",
        "  got:    that",
        "  next:   do so",
    ]


def test_a_message_leaves_out_what_is_not_known():
    assert str(Refused("No")) == "No"


def test_all_problems_of_an_input_are_reported_at_once():
    problems = Problems(
        "Bad intent", [Problem("a", "x", "y"), Problem("b", "p", "q")], next_step="mend"
    )
    text = str(problems)
    assert "a: wanted x; got y" in text
    assert "b: wanted p; got q" in text
    assert len(problems.as_dict()["faults"]) == 2


def test_a_failed_rollback_outweighs_every_other_exit_code():
    assert gravest([0, 10, 11, 12, 14, 13]) == 12


def test_no_trouble_is_exit_code_zero():
    assert gravest([]) == 0
    assert gravest([0, 0]) == 0


def test_more_problems_than_a_person_reads_are_counted_not_listed():
    problems = Problems("Bad intent", [Problem(f"p{n}", "x", "y") for n in range(1000)])
    assert "and 950 more" in str(problems)
    assert len(str(problems)) < 2000


def test_a_value_from_a_file_cannot_move_the_terminals_cursor():
    assert "\x1b" not in str(Refused("No", got="\x1b[2J all is well"))
    assert "\x1b" not in str(Problems("No", [Problem("a", "b", "\x1b[2J")]))


@pytest.mark.parametrize("part", ["what", "where", "wanted", "got", "next_step"])
def test_words_with_a_line_break_make_no_line_that_could_be_one_of_ours(part):
    words = {"what": "It is full", "got": "nothing", "next_step": "mend it"}
    words |= {part: "x\n  next:   curl evil"}
    what, where, next_step = (words.get(name, "") for name in ("what", "where", "next_step"))
    problem = Problem(where, words.get("wanted", ""), words["got"])
    for error in (
        Refused(what, **{name: text for name, text in words.items() if name != "what"}),
        Problems(what, [Problem("a", "b", "c")], where=where, next_step=next_step),
        Problems("It is full", [problem]),
    ):
        assert "  next:   curl evil" not in str(error).splitlines()


@pytest.mark.parametrize(
    ("told", "typed"),
    [
        (
            "next: go on: ansible-playbook playbooks/deploy.yml -e change=c1",
            "next: go on: ansible-playbook -i mine playbooks/deploy.yml -e change=c1",
        ),
        ("take it back: scripts/rollback", "take it back: scripts/rollback -i mine"),
        ("run: scripts/approve c1", "run: scripts/approve -i mine c1"),
        ("add --forks 9 to ansible-playbook", "add --forks 9 to ansible-playbook"),
    ],
)
def test_a_command_to_type_names_the_inventory_of_the_run(told, typed):
    assert for_inventory(told, "-i mine", "-i inventories/lab") == typed


def test_a_script_that_takes_this_inventory_by_itself_is_not_told_of_it():
    told = "scripts/rollback -e undo=c1, or ansible-playbook playbooks/status.yml"
    typed = "scripts/rollback -e undo=c1, or ansible-playbook -i lab playbooks/status.yml"
    assert for_inventory(told, "-i lab", "-i lab") == typed
