// What is published of known judges, as it was read at the source that each names.
#include "judge/suites.h"

namespace gavel {
namespace {

constexpr const char* kJudgeLm =
    "JudgeLM's README (github.com/baaivision/JudgeLM), without reference";
constexpr const char* kLlmBar =
    "LLMBar's statistics.json (github.com/princeton-nlp/LLMBar), prompt Vanilla";
constexpr const char* kPandaLm =
    "PandaLM's data/compute_metrics.py (github.com/WeOpenML/PandaLM), unreadable verdicts as ties";
constexpr const char* kAutoJ = "Auto-J's README (github.com/GAIR-NLP/auto-j)";
constexpr const char* kRewardBench =
    "RewardBench's leaderboard of September 2024, in Skywork-Reward's README "
    "(github.com/SkyworkAI/Skywork-Reward)";
constexpr const char* kRewardBenchGpt =
    "RewardBench's leaderboard in RLHF-Reward-Modeling's README "
    "(github.com/RLHFlow/RLHF-Reward-Modeling)";
constexpr const char* kRewardBench2 =
    "RewardBench 2's paper, table 3 (paper-v2.pdf of github.com/allenai/reward-bench), the better "
    "of ranking four answers and rating each where the judge writes";
constexpr const char* kJudgeBench =
    "the verdicts in JudgeBench's outputs (github.com/ScalerLab/JudgeBench), scored by its rule, "
    "on the 350 pairs by GPT-4o";
constexpr const char* kRmBench = "RM-Bench's leaderboard (github.com/THU-KEG/RM-Bench-Leaderboard)";
constexpr const char* kMtBench =
    "MT-bench's paper (arXiv 2306.05685), table 5, as a summary quotes it "
    "(github.com/bzhng-development/summary-of-some-paper-in-cuda)";

constexpr PublishedScore kPublished[] = {
    {"rewardbench", "Chat", "Skywork-Reward-Llama-3.1-8B", 0.958, kRewardBench},
    {"rewardbench", "Chat Hard", "Skywork-Reward-Llama-3.1-8B", 0.873, kRewardBench},
    {"rewardbench", "Safety", "Skywork-Reward-Llama-3.1-8B", 0.906, kRewardBench},
    {"rewardbench", "Reasoning", "Skywork-Reward-Llama-3.1-8B", 0.962, kRewardBench},
    {"rewardbench", "overall", "Skywork-Reward-Llama-3.1-8B", 0.925, kRewardBench},
    {"rewardbench", "Chat", "ArmoRM-Llama3-8B", 0.969, kRewardBench},
    {"rewardbench", "Chat Hard", "ArmoRM-Llama3-8B", 0.768, kRewardBench},
    {"rewardbench", "Safety", "ArmoRM-Llama3-8B", 0.922, kRewardBench},
    {"rewardbench", "Reasoning", "ArmoRM-Llama3-8B", 0.973, kRewardBench},
    {"rewardbench", "overall", "ArmoRM-Llama3-8B", 0.908, kRewardBench},
    {"rewardbench", "Chat", "GPT-4 Turbo (0125)", 0.953, kRewardBenchGpt},
    {"rewardbench", "Chat Hard", "GPT-4 Turbo (0125)", 0.743, kRewardBenchGpt},
    {"rewardbench", "Safety", "GPT-4 Turbo (0125)", 0.872, kRewardBenchGpt},
    {"rewardbench", "Reasoning", "GPT-4 Turbo (0125)", 0.869, kRewardBenchGpt},
    {"rewardbench2", "Factuality", "Claude Opus 4", 0.827, kRewardBench2},
    {"rewardbench2", "Precise IF", "Claude Opus 4", 0.419, kRewardBench2},
    {"rewardbench2", "Math", "Claude Opus 4", 0.749, kRewardBench2},
    {"rewardbench2", "Safety", "Claude Opus 4", 0.895, kRewardBench2},
    {"rewardbench2", "Focus", "Claude Opus 4", 0.862, kRewardBench2},
    {"rewardbench2", "Factuality", "GPT-4o (2024-08-06)", 0.568, kRewardBench2},
    {"rewardbench2", "Precise IF", "GPT-4o (2024-08-06)", 0.331, kRewardBench2},
    {"rewardbench2", "Math", "GPT-4o (2024-08-06)", 0.623, kRewardBench2},
    {"rewardbench2", "Safety", "GPT-4o (2024-08-06)", 0.862, kRewardBench2},
    {"rewardbench2", "Focus", "GPT-4o (2024-08-06)", 0.729, kRewardBench2},
    {"rewardbench2", "Factuality", "Skywork-Reward-Llama-3.1-8B", 0.699, kRewardBench2},
    {"rewardbench2", "Precise IF", "Skywork-Reward-Llama-3.1-8B", 0.425, kRewardBench2},
    {"rewardbench2", "Math", "Skywork-Reward-Llama-3.1-8B", 0.628, kRewardBench2},
    {"rewardbench2", "Safety", "Skywork-Reward-Llama-3.1-8B", 0.933, kRewardBench2},
    {"rewardbench2", "Focus", "Skywork-Reward-Llama-3.1-8B", 0.962, kRewardBench2},
    {"judgebench", "knowledge", "o1-mini (Arena-Hard prompt)", 0.5844, kJudgeBench},
    {"judgebench", "reasoning", "o1-mini (Arena-Hard prompt)", 0.6224, kJudgeBench},
    {"judgebench", "math", "o1-mini (Arena-Hard prompt)", 0.8214, kJudgeBench},
    {"judgebench", "coding", "o1-mini (Arena-Hard prompt)", 0.7857, kJudgeBench},
    {"judgebench", "overall", "o1-mini (Arena-Hard prompt)", 0.6571, kJudgeBench},
    {"judgebench", "knowledge", "Skywork-Reward-Gemma-2-27B", 0.5974, kJudgeBench},
    {"judgebench", "reasoning", "Skywork-Reward-Gemma-2-27B", 0.6633, kJudgeBench},
    {"judgebench", "math", "Skywork-Reward-Gemma-2-27B", 0.8393, kJudgeBench},
    {"judgebench", "coding", "Skywork-Reward-Gemma-2-27B", 0.5000, kJudgeBench},
    {"judgebench", "overall", "Skywork-Reward-Gemma-2-27B", 0.6429, kJudgeBench},
    {"judgebench", "knowledge", "Skywork-Reward-Llama-3.1-8B", 0.5909, kJudgeBench},
    {"judgebench", "reasoning", "Skywork-Reward-Llama-3.1-8B", 0.6429, kJudgeBench},
    {"judgebench", "math", "Skywork-Reward-Llama-3.1-8B", 0.7679, kJudgeBench},
    {"judgebench", "coding", "Skywork-Reward-Llama-3.1-8B", 0.5000, kJudgeBench},
    {"judgebench", "overall", "Skywork-Reward-Llama-3.1-8B", 0.6229, kJudgeBench},
    {"rm-bench", "chat", "GPT-4.1", 0.795, kRmBench},
    {"rm-bench", "math", "GPT-4.1", 0.681, kRmBench},
    {"rm-bench", "code", "GPT-4.1", 0.673, kRmBench},
    {"rm-bench", "safety", "GPT-4.1", 0.931, kRmBench},
    {"rm-bench", "easy", "GPT-4.1", 0.857, kRmBench},
    {"rm-bench", "normal", "GPT-4.1", 0.770, kRmBench},
    {"rm-bench", "hard", "GPT-4.1", 0.695, kRmBench},
    {"rm-bench", "average", "GPT-4.1", 0.774, kRmBench},
    {"rm-bench", "chat", "Skywork-Reward-Llama-3.1-8B", 0.695, kRmBench},
    {"rm-bench", "math", "Skywork-Reward-Llama-3.1-8B", 0.606, kRmBench},
    {"rm-bench", "code", "Skywork-Reward-Llama-3.1-8B", 0.545, kRmBench},
    {"rm-bench", "safety", "Skywork-Reward-Llama-3.1-8B", 0.957, kRmBench},
    {"rm-bench", "easy", "Skywork-Reward-Llama-3.1-8B", 0.890, kRmBench},
    {"rm-bench", "normal", "Skywork-Reward-Llama-3.1-8B", 0.747, kRmBench},
    {"rm-bench", "hard", "Skywork-Reward-Llama-3.1-8B", 0.466, kRmBench},
    {"rm-bench", "average", "Skywork-Reward-Llama-3.1-8B", 0.701, kRmBench},
    {"auto-j", "agreement", "GPT-4", 0.6228, kAutoJ},
    {"auto-j", "consistency", "GPT-4", 0.8628, kAutoJ},
    {"auto-j", "agreement", "Auto-J", 0.5496, kAutoJ},
    {"auto-j", "consistency", "Auto-J", 0.8341, kAutoJ},
    {"auto-j", "agreement", "ChatGPT", 0.4274, kAutoJ},
    {"auto-j", "consistency", "ChatGPT", 0.6243, kAutoJ},
    {"mt-bench-human", "turn 1, S2", "GPT-4", 0.85, kMtBench},
    {"mt-bench-human", "turn 2, S2", "GPT-4", 0.85, kMtBench},
    {"mt-bench-human", "turn 1, S2", "people among themselves", 0.81, kMtBench},
    {"mt-bench-human", "turn 2, S2", "people among themselves", 0.82, kMtBench},
    {"pandalm", "accuracy", "PandaLM-7B", 0.6677, kPandaLm},
    {"pandalm", "precision", "PandaLM-7B", 0.5738, kPandaLm},
    {"pandalm", "recall", "PandaLM-7B", 0.5750, kPandaLm},
    {"pandalm", "F1", "PandaLM-7B", 0.5743, kPandaLm},
    {"pandalm", "accuracy", "gpt-3.5-turbo", 0.7107, kPandaLm},
    {"pandalm", "precision", "gpt-3.5-turbo", 0.5879, kPandaLm},
    {"pandalm", "recall", "gpt-3.5-turbo", 0.5736, kPandaLm},
    {"pandalm", "F1", "gpt-3.5-turbo", 0.5755, kPandaLm},
    {"judgelm", "agreement", "JudgeLM-7B", 0.8111, kJudgeLm},
    {"judgelm", "precision", "JudgeLM-7B", 0.6967, kJudgeLm},
    {"judgelm", "recall", "JudgeLM-7B", 0.7839, kJudgeLm},
    {"judgelm", "F1", "JudgeLM-7B", 0.7221, kJudgeLm},
    {"judgelm", "consistency", "JudgeLM-7B", 0.8357, kJudgeLm},
    {"judgelm", "agreement", "JudgeLM-33B", 0.8903, kJudgeLm},
    {"judgelm", "precision", "JudgeLM-33B", 0.8097, kJudgeLm},
    {"judgelm", "recall", "JudgeLM-33B", 0.8476, kJudgeLm},
    {"judgelm", "F1", "JudgeLM-33B", 0.8264, kJudgeLm},
    {"judgelm", "consistency", "JudgeLM-33B", 0.9136, kJudgeLm},
    {"llmbar", "Natural", "GPT-4", 0.955, kLlmBar},
    {"llmbar", "Neighbor", "GPT-4", 0.7873, kLlmBar},
    {"llmbar", "GPTInst", "GPT-4", 0.8641, kLlmBar},
    {"llmbar", "GPTOut", "GPT-4", 0.7766, kLlmBar},
    {"llmbar", "Manual", "GPT-4", 0.8043, kLlmBar}};

}  // namespace

std::span<const PublishedScore> published_scores() { return kPublished; }

}  // namespace gavel
