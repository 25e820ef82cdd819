//! What two questions say against each other.

use sidegate_core::search::contrary::contrary;
use sidegate_core::search::question::Question;

fn of(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(Question::read);
    let [x, y] = [&a, &b].map(|one| (one.words.as_slice(), &one.claims));
    assert_eq!(contrary(x, y), contrary(y, x));
    contrary(x, y)
}

#[test]
fn questions_may_say_the_contrary() {
    for (a, b) in [
        ("Show all customers with more than 21 orders", "List every customer having under 21 orders"),
        ("Customers with exactly 12 orders", "Which clients placed over 12 orders?"),
        ("Invoices over $50", "All bills of less than $50"),
        ("Are people of 65 or older free?", "Is it free for those under 65?"),
        ("Can I take up to 5 books?", "May I borrow more than 5 books?"),
        ("How much water should I drink after exercise?", "What amount is right ahead of exercise?"),
        ("How much did we sell from November on?", "What were sales up to November?"),
        ("What were our sales in March?", "How much did we sell after March?"),
        ("Who won in 1998?", "Who won before 1998?"),
        ("Which buses run from Rome to Tokyo?", "I'd like to take the bus from Tokyo to Rome"),
        ("bus Boston to Austin", "I want to take the bus from Austin to Boston"),
        ("Do I lose quality going from JSON to XML?", "XML to JSON quality loss"),
        ("In Swift, how can I sort from high to low?", "sorting from low to high in Swift"),
        ("Is David shorter than Peter?", "Please, is Peter shorter than David?"),
        ("Is a cactus toxic to dogs?", "Are dogs toxic to a cactus?"),
        ("How do I append to a file in C#?", "In C++, how can I add text at the end of a file?"),
        ("What can I eat that has almost no vitamin C?", "What contains hardly any vitamin D?"),
        ("What is the bus fare?", "What does a train ticket cost?"),
        ("How many vacation days do I have?", "Why many holiday days do I have?"),
        ("How do I remove a team member?", "Why do I delete a team member?"),
        ("Where do I find white rice?", "Where can I get brown rice?"),
        ("I want a higher credit limit", "How do I lower my credit limit?"),
        ("File decryption with Angular", "How do I encrypt a file with Angular?"),
        ("How are viruses similar to bacteria?", "Virus versus bacterium: what is different?"),
        ("Write a short poem regarding spring", "Write a short story about spring"),
        ("Compose a lengthy poem on the sea", "Write a short poem about the sea"),
    ] {
        assert!(of(a, b), "{a} | {b}");
    }
    for (a, b) in [
        ("Show customers with more than 21 orders", "Clients having over 21 orders"),
        ("Do orders over $50 ship free?", "Is shipping free on orders of at least $50?"),
        ("Is Priya older than Robert?", "Is Robert younger than Priya?"),
        ("How far is Jupiter from the sun?", "What is the distance of Jupiter to the sun?"),
        ("How far is Lima from Cairo?", "What is the distance between Cairo and Lima?"),
        ("Which trains go from Rome to Paris?", "I want to go to Paris from Rome by train"),
        ("Are guests allowed to bring food?", "Can I bring food to the opera?"),
        ("How long is the short tour?", "What is the duration of the short tour?"),
        ("How long is the tour?", "What is the shortest time for a short tour?"),
        ("Can I pay by invoice?", "Do you accept payment after invoice?"),
        ("I d like a refund", "how do i get a refund, it s broken"),
        ("What has vitamin C?", "Which foods contain vitamins B and C?"),
        ("How does aperture affect the picture?", "Why does aperture matter in a picture?"),
        ("Do you sell stamps?", "Can I buy stamps?"),
        ("What can I do before and after the exam?", "What may I do after the exam?"),
    ] {
        assert!(!of(a, b), "{a} | {b}");
    }
}
